"""Numbers of onnx.proto: of the fields of its messages, and of kinds of values.

What is read and written here of ONNX files is a few fields of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, so that a user needs no ONNX package.
"""

from __future__ import annotations

MODEL_GRAPH, MODEL_METADATA = 7, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_KIND, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_INTS, ATTRIBUTE_TYPE = 1, 2, 3, 5, 8, 20
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
VALUE_NAME, VALUE_TYPE, TYPE_OF_TENSOR, ELEMENT, SHAPE, DIM, DIM_NUMBER, DIM_NAME = 1, 2, 1, 1, 2, 1, 1, 2

TYPE_INT, TYPE_TENSOR, TYPE_INTS = 2, 4, 7
"""AttributeProto.AttributeType."""
FLOAT, INT64, FLOAT16 = 1, 7, 10
"""TensorProto.DataType."""
EXTERNAL = 1
"""TensorProto.DataLocation."""
