"""The BIDS App: landmarks of a BIDS data set as derivatives, made from the records of `infer`."""
