"""hwrt: runs a model on the fastest backend of this device, chosen by measuring it.

``hwrt.load("model.onnx").run(feeds)`` is the main job; importing hwrt imports no vendor runtime.
"""
