"""The type of files in forms, as what reads forms gives them."""

from typing import Annotated, TypeAlias

from pydantic import GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema
from starlette.datastructures import UploadFile

# FastAPI's own type is a subclass of what it passes to routes.
Upload: TypeAlias = Annotated[
    UploadFile,
    GetPydanticSchema(lambda kind, handler: core_schema.is_instance_schema(UploadFile)),
    WithJsonSchema({"type": "string", "format": "binary"}),
]
