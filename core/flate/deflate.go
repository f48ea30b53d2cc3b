package flate

// Level says how hard the deflater tries.
type Level uint8
