"""What a device makes of properties that its lists do not tell, tried on a tiny network."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

__all__ = ["built", "knows"]

# y = relu(x), of one element.  As text, since the Python names of the operators moved (2025.0).
_PORT = "<port id='{}' precision='FP32'><dim>1</dim></port>"
_NETWORK = f"""<net name="probe" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
<output>{_PORT.format(0)}</output></layer>
<layer id="1" name="relu" type="ReLU" version="opset1">
<input>{_PORT.format(0)}</input><output>{_PORT.format(1)}</output></layer>
<layer id="2" name="y" type="Result" version="opset1"><input>{_PORT.format(0)}</input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges></net>"""


def built(core: Any, name: str, properties: Mapping[str, Any]) -> Any:
    """The network compiled with these properties, None where the device refuses that."""
    try:
        return _compile(core, name, properties)
    except RuntimeError:
        return None


def knows(core: Any, name: str, key: str) -> bool:
    """True where the device has this property: then it refuses a wrong value, and not the key."""
    try:
        _compile(core, name, {key: "?"})
    except RuntimeError as exc:
        return f"Unsupported property {key}" not in str(exc)
    return True


def _compile(core: Any, name: str, properties: Mapping[str, Any]) -> Any:
    network = core.read_model(io.BytesIO(_NETWORK.encode()))
    return core.compile_model(network, name, dict(properties))
