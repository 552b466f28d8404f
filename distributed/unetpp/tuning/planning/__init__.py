"""Whether trials fit, how long they take, when the sweep ends."""
