"""What is done about Keras, TensorFlow, JAX, PyTorch and skorch in a process."""
