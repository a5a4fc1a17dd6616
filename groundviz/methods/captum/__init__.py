"""captum's own attribution methods, run on a borrowed model at any site of it."""
