//! Bodies of responses: as they are, or in chunks (RFC 9112, section 7.1).

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Longest line with the length of a chunk.
const LINE_BYTES_MAX: u64 = 256;

/// A body in chunks, each behind a line with its length in hexadecimal digits.
pub struct Chunked<R> {
    reader: R,
    /// Bytes of this chunk that are still to come.
    rest: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    Inside,
    Ended,
}

impl<R: BufRead> Chunked<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Self {
        Chunked { reader, rest: 0, state: State::Start }
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        match line.last() {
            Some(b'\n') => Ok(line),
            Some(_) if line.len() as u64 == LINE_BYTES_MAX => {
                Err(bad("a chunk's length is a line without end"))
            }
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn next_chunk(&mut self) -> Result<()> {
        if self.state == State::Inside && !matches!(self.line()?[..], [b'\n'] | [b'\r', b'\n']) {
            return Err(bad("a chunk is longer than it says"));
        }
        let line = self.line()?;
        if !line[0].is_ascii_hexdigit() {
            return Err(bad("a chunk without a length"));
        }
        self.rest = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, length))) => length,
            _ => return Err(bad("a chunk without a length")),
        };
        // What follows the last chunk is of no interest.
        self.state = if self.rest == 0 { State::Ended } else { State::Inside };
        Ok(())
    }
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.rest == 0 && self.state != State::Ended {
            self.next_chunk()?;
        }
        if self.state == State::Ended || out.is_empty() {
            return Ok(0);
        }
        let room = out.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        match self.reader.read(&mut out[..room])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.rest -= read as u64;
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Chunked::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    /// The example of RFC 9112 is of this form.
    #[test]
    fn chunks_are_joined() {
        let body = b"4\r\nWiki\r\n7;name=value\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(whole(body).unwrap(), b"Wikipedia in \r\nchunks.");
        assert_eq!(whole(b"0\r\n\r\n").unwrap(), b"");
    }

    #[test]
    fn broken_chunks_are_errors() {
        let hostile = [
            &b""[..],
            b"\r\n",
            b"xyz\r\n",
            b"4\r\nWik",
            b"4\r\nWikiX\r\n",
            b"-1\r\n",
            b"fffffffffffffffff\r\nx",
            b"4",
            &[b'1'; 1000],
        ];
        for body in hostile {
            assert!(whole(body).is_err(), "{body:?}");
        }
        let cut = b"5\r\nabcde\r\n3\r\nfgh\r\n0\r\n";
        for length in 0..cut.len() - 3 {
            assert!(whole(&cut[..length]).is_err(), "{length}");
        }
    }
}
