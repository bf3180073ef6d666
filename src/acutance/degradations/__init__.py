"""What makes photos worse, batched in torch: blur, rescaling, noise, JPEG, and pipelines of them.

Everything here takes and gives float32 RGB `n 3 h w` in [0, 1] in gamma space, works on the device of its
input, and draws its random numbers from the `torch.Generator` handed to it: the same generator state gives
the same batch. No Python work per image. `acutance.data.protocol` makes the protocol's rows a second time, in
plain NumPy, and is the oracle that this room is tested against.
"""
