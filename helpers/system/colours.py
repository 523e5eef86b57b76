"""Colour spaces that a few numbers describe → ICC profiles."""

import struct

import numpy as np

#: x and y of the white point and of the red, green and blue primaries.
Chromaticities = tuple[float, float, float, float, float, float, float, float]
SRGB: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

#: The connection space's white in an ICC profile, and Bradford's matrix, which adapts one white to another.
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
ADOBE_RGB: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)

#: Code of the primaries → what they are; codes, also below, are those of ITU-T H.273.
PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    2: SRGB,  # not told
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # NTSC of 1953
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # PAL
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # NTSC
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # cinema P3
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}

#: Code of the transfer function → the exponent from a value to light; None for the curve of sRGB, which
#: browsers take for those of cameras (1, 6, 14, 15) too.
EXPONENTS = {1: None, 2: None, 6: None, 13: None, 14: None, 15: None, 4: 2.2, 5: 2.8, 8: 1.0}


def coded_profile(primaries: int, transfer: int, grey: bool = False) -> bytes | None:
    """Return the ICC profile of codes as PNG (cICP), AVIF (nclx) and video have them; None for sRGB's.

    Raises:
        ValueError: If no profile of a few numbers says the same, as with PQ and HLG, which are for HDR.
    """
    if primaries not in PRIMARIES or transfer not in EXPONENTS:
        hdr = {16: " (PQ, for HDR)", 18: " (HLG, for HDR)"}.get(transfer, "")
        raise ValueError(f"primaries {primaries}, transfer function {transfer}{hdr}")
    colours, gamma = PRIMARIES[primaries], EXPONENTS[transfer]
    return None if gamma is None and (grey or colours == SRGB) else made_profile(colours, gamma, grey)


def made_profile(chromaticities: Chromaticities = SRGB, gamma: float | None = None, grey=False) -> bytes:
    """Return the ICC profile of a colour space that a few numbers describe.

    Args:
        chromaticities: Of its white and primaries; a grey space has none.
        gamma: Exponent from a pixel's value to light; None for the curve of sRGB.
        grey: For pictures of one channel.

    Returns:
        A profile of version 4, always the same bytes for the same numbers.

    Raises:
        ValueError: If the numbers describe no colour space.
    """
    if gamma is None:
        curve = (
            b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        )
    elif 0.2 <= gamma <= 10:
        curve = b"para" + struct.pack(">IHH", 0, 0, 0) + _fixed(gamma)
    else:
        raise ValueError(f"a gamma of {gamma}")
    name = "sRGB" if (chromaticities, gamma, grey) == (SRGB, None, False) else "from the picture's numbers"
    tags = {"desc": _text(name), "cprt": _text("No copyright"), "wtpt": b"XYZ \0\0\0\0" + _fixed(*D50)}
    if grey:
        tags["kTRC"] = curve
    else:
        colours, adapted = _primaries(chromaticities)
        tags["chad"] = b"sf32\0\0\0\0" + _fixed(*adapted.ravel())
        for letter, colour in zip("rgb", colours.T, strict=True):
            tags |= {f"{letter}XYZ": b"XYZ \0\0\0\0" + _fixed(*colour), f"{letter}TRC": curve}
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key.encode() + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">II", 128 + len(body), 0) + b"\x04\x30\0\0mntr" + (b"GRAY" if grey else b"RGB ")
    head += b"XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + struct.pack(">I", 1)
    return (head + _fixed(*D50)).ljust(128, b"\0") + body


def _primaries(chromaticities: Chromaticities) -> tuple[np.ndarray, np.ndarray]:
    """Return the XYZ of red, green and blue as columns, seen under D50, and the matrix that adapts to it."""
    x, y = np.array(chromaticities, dtype=float).reshape(4, 2).T
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (y > 0).all()):
        raise ValueError("chromaticities that are no colours")
    white, *colours = np.stack([x / y, np.ones(4), (1 - x - y) / y], 1)
    colours = np.array(colours).T
    if abs(np.linalg.det(colours)) < 1e-3:
        raise ValueError("three primaries on one line")
    colours = colours * np.linalg.solve(colours, white)
    adapted = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ white)) @ BRADFORD
    return adapted @ colours, adapted


def _fixed(*numbers: float) -> bytes:
    """Pack numbers as the profile's own kind: 16 bits before the point, 16 after it."""
    if not all(abs(number) < 32767 for number in numbers):
        raise ValueError(f"a profile cannot hold {numbers}")
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _text(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(data), 28) + data
