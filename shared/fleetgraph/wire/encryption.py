"""Encryption of users' values at rest: AES-256-GCM, with keys from the environment.

On when `FLEETGRAPH_ENCRYPTION_KEY` or `FLEETGRAPH_ENCRYPTION_KEY_FILE` is set, in every process that is to read or
write values. What is encrypted, as the data of extension `SEALED`, is

    4 bytes    which key: the first of its SHA-256
    16 bytes   salt: the key in use is HMAC-SHA-256 of the key and it
    12 bytes   nonce, random
    the rest   ciphertext and tag

A process draws a salt of its own, and another one from time to time, so that no key in use meets more random nonces
than are safe (2^32), however much a fleet sends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from fleetgraph.errors import DecodeError, FleetError
from fleetgraph.wire.names import this_process

KEY_VARIABLE: Final = "FLEETGRAPH_ENCRYPTION_KEY"
"""Holds keys of 32 bytes, in base64, separated by commas: the first encrypts, all of them decrypt."""

FILE_VARIABLE: Final = "FLEETGRAPH_ENCRYPTION_KEY_FILE"
"""Names a file that holds such keys instead, on one line or on several."""

SEALED: Final = 50
"""The extension code. Part of the wire format: never used for anything else."""

KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = _ID_BYTES + _SALT_BYTES + _NONCE_BYTES

_SEALS_PER_SALT: Final = 1 << 28
"""Far below 2^32, from where on two nonces of one key might be the same."""

_SALTS_KNOWN: Final = 4096
"""Keys in use that are remembered: one for each process whose values are read."""

_PURPOSE: Final = b"fleetgraph payload"


class Cipher:
    """Encrypts with the first of some keys, and decrypts with any of them. Threads and forked processes may share it.

    Args:
        keys: Keys of `KEY_BYTES` bytes, the one to encrypt with first.

    Raises:
        FleetError: A key has another length, there is none, or `cryptography` is not installed.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise FleetError(f"an encryption key has {KEY_BYTES} bytes. Make one: openssl rand -base64 {KEY_BYTES}")
        _algorithm()
        self._keys = {hashlib.sha256(key).digest()[:_ID_BYTES]: key for key in reversed(keys)}
        self._first = hashlib.sha256(keys[0]).digest()[:_ID_BYTES]
        self._in_use = lru_cache(_SALTS_KNOWN)(self._derive)
        self._left = 0
        self._salt = b""
        self._sealing: Any = None

    def __repr__(self) -> str:
        return f"<Cipher with keys {', '.join(key.hex() for key in self._keys)}>"

    def seal(self, data: bytes, about: bytes) -> bytes:
        """`data`, encrypted; it can be read only by who says the same `about`, which is not kept."""
        if self._left <= 0:
            # Threads that do this at the same time do it twice, which does no harm.
            salt = os.urandom(_SALT_BYTES)
            self._sealing = salt, self._derive(self._first, salt)
            self._left = _SEALS_PER_SALT
        self._left -= 1
        salt, key = self._sealing
        nonce = os.urandom(_NONCE_BYTES)
        return b"".join((self._first, salt, nonce, key.encrypt(nonce, data, about)))

    def open(self, data: bytes, about: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            DecodeError: It was encrypted with another key, or is not what was encrypted.
        """
        if len(data) < _HEAD_BYTES + _TAG_BYTES:
            raise DecodeError("an encrypted value is too short to be one.")
        key_id, salt = data[:_ID_BYTES], data[_ID_BYTES : _ID_BYTES + _SALT_BYTES]
        if key_id not in self._keys:
            have = ", ".join(one.hex() for one in self._keys)
            raise DecodeError(
                f"a value is encrypted with key {key_id.hex()}, and {this_process()} has {have}. Give all processes "
                f"the same {KEY_VARIABLE} or {FILE_VARIABLE}; to change the key, put the new one before the old ones."
            )
        nonce = data[_ID_BYTES + _SALT_BYTES : _HEAD_BYTES]
        try:
            return self._in_use(key_id, salt).decrypt(nonce, data[_HEAD_BYTES:], about)
        except _invalid_tag():
            raise DecodeError(
                "an encrypted value was changed after it was encrypted, or belongs somewhere else."
            ) from None

    def _derive(self, key_id: bytes, salt: bytes) -> Any:
        return _algorithm()(hmac.digest(self._keys[key_id], _PURPOSE + salt, "sha256"))


_EXTENSIONS: Final = {0xC7: 2, 0xC8: 3, 0xC9: 5}
"""The first byte of an extension that may be a sealed value, in msgpack → where its code is."""


def is_sealed(data: bytes) -> bool:
    """Whether these bytes are one value that was encrypted as a whole, to judge by how they begin."""
    at = _EXTENSIONS.get(data[0]) if data else None
    return at is not None and data[at : at + 1] == bytes([SEALED])


def open_sealed(cipher: Cipher | None, data: bytes, about: bytes) -> bytes:
    """What was encrypted into `data`.

    Raises:
        DecodeError: As from `Cipher.open`; or this process has no key.
    """
    if cipher is None:
        raise DecodeError(
            f"a value is encrypted, and {this_process()} has no key. Set {KEY_VARIABLE} or {FILE_VARIABLE} to what the "
            "process that sent it has."
        )
    return cipher.open(data, about)


def cipher_of_environment() -> Cipher | None:
    """The cipher that the environment asks for; None if it asks for none.

    Raises:
        FleetError: What it holds is no key, the file can't be read, or `cryptography` is not installed.
    """
    text, path = os.environ.get(KEY_VARIABLE), os.environ.get(FILE_VARIABLE)
    if not text and not path:
        return None
    if text and path:
        raise FleetError(f"both {KEY_VARIABLE} and {FILE_VARIABLE} are set: set one of them")
    if text:
        return _cipher(text, KEY_VARIABLE)
    try:
        return _cipher(Path(str(path)).read_text("ascii"), FILE_VARIABLE)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise FleetError(f"the file that {FILE_VARIABLE} names can't be read: {reason}") from None


@cache
def _cipher(text: str, variable: str) -> Cipher:
    words = [word.replace("-", "+").replace("_", "/") for word in re.split(r"[,\s]+", text) if word]
    try:
        keys = [base64.b64decode(word, validate=True) for word in words]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        # Does not show what it is about: that is a key, or nearly one.
        raise FleetError(
            f"{variable} does not hold keys of {KEY_BYTES} bytes in base64, separated by commas. "
            f"Make one: openssl rand -base64 {KEY_BYTES}"
        )
    return Cipher(keys)


@cache
def _algorithm() -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise FleetError(
            "encryption needs the package cryptography. Install it: pip install 'fleetgraph[encryption]'"
        ) from None
    return AESGCM


def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag
