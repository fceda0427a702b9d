"""Training of compressed layers: codewords, scales and signs learn together."""
