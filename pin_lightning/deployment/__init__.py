"""Networks and whole localizers as ONNX files, for programs without PyTorch."""
