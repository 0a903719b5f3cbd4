"""LSTM, GRU and RNN layers, step by step."""
