"""What loading a model needs: folders, devices, quantisation, processors, errors."""
