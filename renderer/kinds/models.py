"""What the models of the built-in kinds share: their rules, and how a bad field is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError


def _not_a_bool(value: Any) -> Any:
    # JSON's true is no number, but pydantic would read it as 1.
    if isinstance(value, bool):
        raise PydanticCustomError("number", "a number is wanted, not true or false")
    return value


_MAX_NAME = 60

Number = Annotated[float, BeforeValidator(_not_a_bool)]


class StrictModel(BaseModel):
    """camelCase outside, snake_case accepted, an unknown field refused by name, NaN and infinity refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _legible_names(cls, value: Any) -> Any:
        """Refuse a name that would be none in a message: an empty one, blanks, a page of text."""
        if isinstance(value, dict) and cls.model_config.get("extra") == "forbid":
            for name in value:
                if not (isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= _MAX_NAME):
                    raise invalid_at([f"'{ascii(name)[1:-1][:_MAX_NAME]}'"], "no field has such a name")
        return value


def invalid_at(location: Sequence[str | int], reason: str) -> ValidationError:
    """Return the error that blames one field below the model that raises it.

    pydantic joins the lines of a ValidationError raised within a validator to its own, with the path in front.
    """
    error = PydanticCustomError("spec", "{reason}", {"reason": reason})
    line = InitErrorDetails(type=error, loc=tuple(location), input=None)
    return ValidationError.from_exception_data("spec", [line], hide_input=True)
