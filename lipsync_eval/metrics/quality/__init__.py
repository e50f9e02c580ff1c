"""Quality of single frames without a reference: CPBD, NIQE, BRISQUE."""
