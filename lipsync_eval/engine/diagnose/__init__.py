"""Why a clip's sync score is what it is: what is in the file, what is said about it, the picture."""
