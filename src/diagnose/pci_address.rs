//! A PCI address, read from the several ways in which kernel, driver and tools write it.

use std::fmt;
use std::str::FromStr;

/// Domain, bus, device and function. Printed as the driver's tools do: `00000000:53:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    pub domain: u32,
    pub bus: u8,
    pub device: u8,
    pub function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

/// What is wrong with an address as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no PCI address; they look like `0000:53:00.0`")]
pub struct ParsePciAddressError(pub String);

impl FromStr for PciAddress {
    type Err = ParsePciAddressError;

    /// Reads `0000:53:00.0`, `00000000:53:00.0`, and `0000:53:00`, which log lines use and which means function 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ParsePciAddressError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<PciAddress> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.').unwrap_or((rest, "0"));
    let device = u8::try_from(hexadecimal(device, 2)?).ok().filter(|device| *device < 32)?;
    let function = u8::try_from(hexadecimal(function, 1)?).ok().filter(|function| *function < 8)?;
    let bus = u8::try_from(hexadecimal(bus, 2)?).ok()?;
    Some(PciAddress { domain: hexadecimal(domain, 8)?, bus, device, function })
}

/// A number of one to `digits` hexadecimal digits and nothing else (`from_str_radix` would take a sign).
fn hexadecimal(text: &str, digits: usize) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_address_are_one_address() {
        let address = PciAddress { domain: 8, bus: 0xb5, device: 1, function: 0 };
        for text in ["0008:b5:01.0", "00000008:B5:01.0", "0008:b5:01", "8:b5:1.0"] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        assert_eq!(address.to_string(), "00000008:b5:01.0");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong = [
            "",
            ":",
            "::",
            "0000:b5",
            "0000:b5:00.",
            "0000:b5:00.8",
            "0000:b5:20.0",
            "0000:1b5:00.0",
            "+000:b5:00.0",
            "000000000:b5:00.0",
            "0000:b5:00.0.0",
            "0000:b5:00:0",
            "gggg:b5:00.0",
            "0000:b5:0é.0",
            " 0000:b5:00.0",
        ];
        for text in wrong {
            assert_eq!(text.parse::<PciAddress>(), Err(ParsePciAddressError(text.to_owned())));
        }
    }
}
