"""The simulated pipeline: frames that never were, and flags that shape them."""
