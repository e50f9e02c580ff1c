"""Speaking style: expression sequences, the codes made of them, their constants, and the trained encoder."""
