"""Changes of what is proved, which its proofs have to refuse."""
