"""What runs in a child: the wire format, the sandbox, the registry of kinds and the renderers.

A plug-in author needs at most the names exported here.
"""

from renderer.errors import InvalidSpec
from renderer.needs import Needs
from renderer.output import Output
from renderer.registry import render_kind

__all__ = ["InvalidSpec", "Needs", "Output", "render_kind"]
