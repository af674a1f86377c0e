"""Any object of a scene, by its type."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WrapValidator

from renderer.kinds.models import invalid_at
from renderer.kinds.scene.common import SceneObject
from renderer.kinds.scene.content import Image, Text
from renderer.kinds.scene.geometry import Ellipse, Line, Path, Polygon, Rectangle

_TYPES: dict[str, type[SceneObject]] = {
    "rectangle": Rectangle,
    "rect": Rectangle,
    "ellipse": Ellipse,
    "circle": Ellipse,
    "polygon": Polygon,
    "path": Path,
    "line": Line,
    "polyline": Line,
    "text": Text,
    "image": Image,
}


def _by_type(value: Any, _union: Any) -> Any:
    """Validate with the one model that `type` names, so that an error's path has no name of a model in it."""
    if isinstance(value, SceneObject):
        return value
    if not isinstance(value, dict):
        raise ValueError("an object is a JSON object with a type")  # noqa: TRY004 - pydantic reports ValueError
    kind = value.get("type")
    model = _TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise invalid_at(["type"], f"{str(kind)[:40]!r} is not a type of object; write one of {', '.join(_TYPES)}")
    return model.model_validate(value)


AnyObject = Annotated[
    Rectangle | Ellipse | Polygon | Path | Line | Text | Image,
    WrapValidator(_by_type),
]
