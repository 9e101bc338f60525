-- serves(): whether one of a worker's graphs is the one that is wanted.
--
-- graphs        `<fingerprint> <name>` of each graph the worker has, one a line; '' if it takes whatever comes
-- fingerprint, name   of the one that is wanted; nil if that is not known
local function serves(graphs, fingerprint, name)
  -- A file is known by another name to whoever imports it from another folder: `pkg.app:graph`, `app:graph`.
  local function is_end(short, long)
    return short == long or string.sub(long, -#short - 1) == '.' .. short
  end

  if graphs == '' or not (fingerprint and name) then
    return true
  end
  for its_fingerprint, its_name in string.gmatch(graphs, '(%S+) ([^\n]+)') do
    if its_fingerprint == fingerprint and (is_end(its_name, name) or is_end(name, its_name)) then
      return true
    end
  end
  return false
end
