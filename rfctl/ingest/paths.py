"""The last part of a path that may be any text, such as a phone."""

from starlette.convertors import Convertor, register_url_convertor

PHONE = "{phone:rest}"
EVENT = "{event:rest}"


class _Rest(Convertor[str]):
    # starlette's own `path` ends before a line break: a phone with one would be taken for another, or be no address at all
    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())
