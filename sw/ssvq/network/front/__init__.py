"""From a model, PyTorch's or ONNX's, to a graph of the operator set."""
