"""PIN-Lightning: anatomical landmarks in 3D medical volumes by a patch-based iterative network."""
