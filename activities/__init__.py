"""Side effects: each activity calls the panel (or Temporal) once and returns a typed outcome."""
