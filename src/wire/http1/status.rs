//! The status codes Weir answers with, each with its reason phrase (RFC 9110, section 15).

/// A closed list, so that every answer has a status line made at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Status {
    /// 200
    Ok = 200,
    /// 202: a notification or a client's answer was accepted.
    Accepted = 202,
    /// 204
    NoContent = 204,
    /// 400
    BadRequest = 400,
    /// 403
    Forbidden = 403,
    /// 404
    NotFound = 404,
    /// 405
    MethodNotAllowed = 405,
    /// 406
    NotAcceptable = 406,
    /// 408
    RequestTimeout = 408,
    /// 409
    Conflict = 409,
    /// 413
    ContentTooLarge = 413,
    /// 414
    UriTooLong = 414,
    /// 415
    UnsupportedMediaType = 415,
    /// 417
    ExpectationFailed = 417,
    /// 426
    UpgradeRequired = 426,
    /// 431
    RequestHeaderFieldsTooLarge = 431,
    /// 500
    InternalServerError = 500,
    /// 501
    NotImplemented = 501,
    /// 503
    ServiceUnavailable = 503,
    /// 505
    HttpVersionNotSupported = 505,
}

impl Status {
    /// Every status, in ascending order.
    #[cfg(test)]
    pub const ALL: [Status; 20] = [
        Status::Ok,
        Status::Accepted,
        Status::NoContent,
        Status::BadRequest,
        Status::Forbidden,
        Status::NotFound,
        Status::MethodNotAllowed,
        Status::NotAcceptable,
        Status::RequestTimeout,
        Status::Conflict,
        Status::ContentTooLarge,
        Status::UriTooLong,
        Status::UnsupportedMediaType,
        Status::ExpectationFailed,
        Status::UpgradeRequired,
        Status::RequestHeaderFieldsTooLarge,
        Status::InternalServerError,
        Status::NotImplemented,
        Status::ServiceUnavailable,
        Status::HttpVersionNotSupported,
    ];

    /// The three digits as a number.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The reason phrase of RFC 9110 (RFC 6585 for 431).
    #[cfg(test)]
    pub fn reason(self) -> &'static str {
        // "HTTP/1.1 NNN " is 13 bytes and the line ends in CRLF.
        let line = self.line();
        line.get(13..line.len() - 2).unwrap_or_default()
    }

    /// The whole status line with its CRLF.
    pub(super) const fn line(self) -> &'static str {
        match self {
            Status::Ok => "HTTP/1.1 200 OK\r\n",
            Status::Accepted => "HTTP/1.1 202 Accepted\r\n",
            Status::NoContent => "HTTP/1.1 204 No Content\r\n",
            Status::BadRequest => "HTTP/1.1 400 Bad Request\r\n",
            Status::Forbidden => "HTTP/1.1 403 Forbidden\r\n",
            Status::NotFound => "HTTP/1.1 404 Not Found\r\n",
            Status::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\n",
            Status::NotAcceptable => "HTTP/1.1 406 Not Acceptable\r\n",
            Status::RequestTimeout => "HTTP/1.1 408 Request Timeout\r\n",
            Status::Conflict => "HTTP/1.1 409 Conflict\r\n",
            Status::ContentTooLarge => "HTTP/1.1 413 Content Too Large\r\n",
            Status::UriTooLong => "HTTP/1.1 414 URI Too Long\r\n",
            Status::UnsupportedMediaType => "HTTP/1.1 415 Unsupported Media Type\r\n",
            Status::ExpectationFailed => "HTTP/1.1 417 Expectation Failed\r\n",
            Status::UpgradeRequired => "HTTP/1.1 426 Upgrade Required\r\n",
            Status::RequestHeaderFieldsTooLarge => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            Status::InternalServerError => "HTTP/1.1 500 Internal Server Error\r\n",
            Status::NotImplemented => "HTTP/1.1 501 Not Implemented\r\n",
            Status::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable\r\n",
            Status::HttpVersionNotSupported => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_its_own_code() {
        for status in Status::ALL {
            let code = status.code().to_string();
            assert_eq!(status.line(), format!("HTTP/1.1 {code} {}\r\n", status.reason()));
            assert!(!status.reason().is_empty());
        }
    }
}
