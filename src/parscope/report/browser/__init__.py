"""Pages of Bokeh, which is an extra, on this machine alone: maps of a fit whose pixels can be clicked."""

from parscope.core.errors import MissingExtraError

try:
    import bokeh as bokeh
except ImportError as error:
    raise MissingExtraError("bokeh", "view") from error
