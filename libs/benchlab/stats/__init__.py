"""What a series of measurements says about its future and its faults: pure functions, standard library only."""
