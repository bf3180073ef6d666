"""How the values of a file come from light: what a camera's response function is taken for.

Light adds up where a shutter is open or a lens is out of focus. A blur that is undone in the values of the file, which
a curve bends, is not undone exactly: of straight motion of 4 px that costs 4 dB.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from acutance.imaging.light import Values, to_gamma, to_linear, with_tone_curve, without_tone_curve


class Response(Enum):
    """In what a picture was blurred: which function of its values added up."""

    NONE = "values"
    """The values themselves: what was blurred in an editor."""
    SRGB = "linear light"
    """Linear light behind sRGB's curve."""
    TONED = "light before a tone curve"
    """The same before a camera gave it more contrast, as most do."""

    def light(self, values: Values) -> Values:
        """Return the light of a file's values, 0 … 1 both, of any shape."""
        match self:
            case Response.NONE:
                return values
            case Response.SRGB:
                return to_linear(values)
            case Response.TONED:
                return to_linear(without_tone_curve(values))

    def values(self, light: Values) -> Values:
        """Return a file's values of light, its inverse; there is no light below none."""
        match self:
            case Response.NONE:
                return light
            case Response.SRGB:
                return to_gamma(np.maximum(light, 0))
            case Response.TONED:
                return with_tone_curve(to_gamma(np.maximum(light, 0)))
