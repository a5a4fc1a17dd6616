"""Where did a vision-language model look, and should you believe it?"""
