"""Training of compressed layers: parametrizations of PyTorch modules, fake-quantized activations, conversion."""
