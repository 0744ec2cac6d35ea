//! A picture and a sound, as small as they get.

/// One red pixel.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\
    \0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde\
    \0\0\0\x0cIDAT\x78\xda\x63\xf8\xcf\xc0\0\0\x03\x01\x01\0\xf7\x03\x41\x43\
    \0\0\0\0IEND\xae\x42\x60\x82";

/// Eight samples of silence, 8 kHz, mono, 8 bits.
pub(crate) const WAV: &[u8] = b"RIFF\x2c\0\0\0WAVE\
    fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0\
    data\x08\0\0\0\x80\x80\x80\x80\x80\x80\x80\x80";
