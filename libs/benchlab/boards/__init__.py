"""Power meters on a serial port: what they are asked and what they answer, byte for byte."""
