"""What music is: notes, bars, staves, pictures and tokens. No tensors here."""
