"""Schemas of type hints, and the functions that have them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing
import unittest
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple, TypedDict, Union

from tasklane import AsyncContext, Context, Service
from tasklane.worker import schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Paint:
    colour: Colour
    coats: int = 1
    notes: List[str] = dataclasses.field(default_factory=list)


class Address(TypedDict, total=False):
    street: str


class SchemaTest(unittest.TestCase):
    def test_types(self) -> None:
        text = {"type": "string"}
        for hint, want in [
            (str, text), (int, {"type": "integer"}), (float, {"type": "number"}), (bool, {"type": "boolean"}),
            (None, {"type": "null"}), (type(None), {"type": "null"}), (Any, {}), (object, {}),
            (dict, {"type": "object"}),
            (list, {"type": "array"}), (List[str], {"type": "array", "items": text}),
            (Sequence[str], {"type": "array", "items": text}), (typing.Iterable, {}),
            (Dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
            (Optional[str], {"anyOf": [text, {"type": "null"}]}), (Union[str, Any], {}),
            (Literal["a", 1], {"enum": ["a", 1]}), (Colour, {"enum": ["red", "blue"]}),
            (Tuple[str, ...], {"type": "array", "items": text}),
            (Tuple[str, int], {"type": "array", "prefixItems": [text, {"type": "integer"}], "minItems": 2,
                               "maxItems": 2}),
            (datetime.datetime, {"type": "string", "format": "date-time"}),
            (Address, {"type": "object", "additionalProperties": False, "properties": {"street": text}}),
            (Paint, {"type": "object", "additionalProperties": False, "required": ["colour"], "properties": {
                "colour": {"enum": ["red", "blue"]}, "coats": {"type": "integer"},
                "notes": {"type": "array", "items": text}}}),
            (unittest.TestCase, {}),
        ]:
            with self.subTest(str(hint)):
                self.assertEqual(schema.of(hint), want)

    def test_a_function_without_hints_takes_anything(self) -> None:
        service = Service()

        @service
        def anything(a, b=1, **rest):  # type: ignore[no-untyped-def]
            return a, b, rest

        self.assertEqual(service.described()["anything"]["input"],
                         {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]})
        self.assertEqual(anything(1), (1, 1, {}), "a service's function can still be called")

    def test_functions_that_cannot_serve(self) -> None:
        service = Service()

        def wrong_context(ctx: AsyncContext) -> None: ...

        async def wrong_async_context(ctx: Context) -> None: ...

        def by_place(a: int, /) -> None: ...

        def any_number(*many: int) -> None: ...

        for function, why in [(wrong_context, "annotate ctx with Context"), (by_place, "parameter a cannot"),
                              (wrong_async_context, "annotate ctx with AsyncContext"), (any_number, "parameter many")]:
            with self.assertRaisesRegex(TypeError, why):
                service(function)
        service("same")(lambda: None)
        with self.assertRaisesRegex(ValueError, "two functions for tasks named same"):
            service("same")(lambda: None)
        for count in (0, 10_001):
            with self.assertRaisesRegex(ValueError, "max_inflight"):
                Service(max_inflight=count)
