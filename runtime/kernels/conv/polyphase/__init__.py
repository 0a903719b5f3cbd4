"""Convolution by polyphase components: of two neighbouring outputs, with two thirds of the multiplications."""
