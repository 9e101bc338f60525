-- now(): Redis's clock, in seconds. stamp(): the same as RQ writes times, for example 2026-01-31T23:59:59.123456Z.
local clock
local function now()
  clock = clock or redis.call('TIME')
  return tonumber(clock[1]) + tonumber(clock[2]) / 1000000
end

local function seconds(value)
  return string.format('%.6f', value)
end

-- Scripts have no os.date. The year is taken to begin in March, which puts the leap day at its end.
local function stamp()
  local whole = math.floor(now())
  local time = whole % 86400
  local day = (whole - time) / 86400 + 719468 -- since the first of March of the year 0
  local era = math.floor(day / 146097) -- 400 years
  local of_era = day - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local of_month = of_year - math.floor((153 * month + 2) / 5) + 1
  if month < 10 then
    month = month + 3
  else
    month = month - 9
    year = year + 1
  end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year + era * 400, month, of_month,
    math.floor(time / 3600), math.floor(time / 60) % 60, time % 60, tonumber(clock[2]))
end
