"""PNG, JPEG, TIFF, WebP and BMP files, Pillow images, arrays and tensors."""
