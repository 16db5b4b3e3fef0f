"""ONNX graphs drawn operation by operation, and run in blocks of rows.

Opset 17 and ai.onnx.ml 3 everywhere, so that parts can be joined; that is what tf2onnx and skl2onnx write here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET: Final = 17
ML_OPSET: Final = 3
THREADS: Final = 2
_BLOCK: Final = 4096


class Drawing:
    """A graph in the making: every method gives the name of what it added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """A tensor."""
        from onnx import numpy_helper

        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind: str, *inputs: str, out: str | None = None, domain: str = "", **attributes: Any) -> str:
        """An operation with one output."""
        return self.ops(kind, inputs, [out or f"n{len(self.nodes)}"], domain=domain, **attributes)[0]

    def ops(
        self, kind: str, inputs: tuple[str, ...], outputs: list[str], *, domain: str = "", **attributes: Any
    ) -> list[str]:
        """An operation with the outputs named."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs

    def double(self, name: str) -> str:
        """The same in float64."""
        from onnx import TensorProto

        return self.op("Cast", name, to=TensorProto.DOUBLE)

    def single(self, name: str) -> str:
        """The same in float32."""
        from onnx import TensorProto

        return self.op("Cast", name, to=TensorProto.FLOAT)

    def model(self, inputs: list[Any], outputs: list[Any]) -> Any:
        """The finished graph, checked."""
        from onnx import checker, helper

        graph = helper.make_graph(self.nodes, "anomaflow", inputs, outputs, self.constants)
        made = helper.make_model(graph, opset_imports=opsets(), producer_name="anomaflow", ir_version=8)
        checker.check_model(made)
        return made


def opsets() -> list[Any]:
    """The versions of operations that every graph here has."""
    from onnx import helper

    return [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]


def value(name: str, shape: list[Any], kind: str = "FLOAT") -> Any:
    """The description of an input or output."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)


def finished(drawing: Drawing, features: int, output: str, width: int | None) -> Any:
    """A candidate's graph: `features` [n, F] to `output`, [n] or [n, `width`]."""
    shape: list[Any] = ["n"] if width is None else ["n", width]
    return drawing.model([value("features", ["n", features])], [value(output, shape)])


def session(model: Any) -> Any:
    """A session of the runtime on a model, its bytes or its path; on two threads that sleep when idle.

    Raises whatever onnxruntime does for a model that it does not like.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; standard error is for people
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    held = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return onnxruntime.InferenceSession(held, options, providers=["CPUExecutionProvider"])


class Runner:
    """A candidate's graph, answering for encoded rows `[n, F]` in blocks."""

    def __init__(self, model: Any, *, block: int = _BLOCK) -> None:
        self._session = session(model)
        self._output = self._session.get_outputs()[0]
        self._block = block

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n]` or `[n, K]`."""
        starts = range(0, max(len(rows), 1), self._block)
        parts = [
            self._session.run(
                [self._output.name], {"features": np.ascontiguousarray(rows[at : at + self._block], np.float32)}
            )[0]
            for at in starts
        ]
        answer: NDArray[np.float32] = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return answer
