"""Reading runs from outside the process that coordinates them."""
