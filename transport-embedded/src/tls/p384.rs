//! ECDSA on P-384 (FIPS 186-5, section 6.4.2), in two pieces: a whole check is longer than a second at 25 MHz, and
//! p384's own cannot be interrupted.

use embassy_futures::yield_now;
use p384::elliptic_curve::ops::{Invert as _, LinearCombination as _, Reduce as _};
use p384::elliptic_curve::point::AffineCoordinates as _;
use p384::{AffinePoint, FieldBytes, NonZeroScalar, ProjectivePoint, Scalar};

use super::der;

/// Bytes of a half of a scalar.
const HALF: usize = 24;

/// Is this (the third) the key's signature of what has this hash, of 48 bytes at most? Key and signature are as in a
/// certificate. Other tasks run once in between.
pub(super) async fn holds(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    let (r, s) = der::two_integers(signature)?;
    let scalar = |digits| NonZeroScalar::from_repr(padded(digits)?).into_option();
    let (r, s) = (scalar(r)?, scalar(s)?);
    let key = point(key)?;
    let inverse = *s.invert_vartime();
    let hash = Scalar::reduce(&padded(hash)?);
    let point = combination(hash * inverse, *r * inverse, key).await;
    (Scalar::reduce(&point.to_affine().x()) == *r).then_some(())
}

/// `a` times the generator, and `b` times `point`: first by the higher halves of both scalars, and then, with 2^192 times
/// what that made, by the lower ones. So the second piece makes the doublings that the first one lacks, in one go with its
/// own.
async fn combination(a: Scalar, b: Scalar, point: ProjectivePoint) -> ProjectivePoint {
    let (a, b) = (FieldBytes::from(a), FieldBytes::from(b));
    let (a, b) = (a.split_at(HALF), b.split_at(HALF));
    let scalar = |half| Scalar::reduce(&padded(half).unwrap_or_default());
    let by = |a, b, sum, shift| {
        sum_of(&[(ProjectivePoint::GENERATOR, scalar(a)), (point, scalar(b)), (sum, shift)])
    };
    let sum = by(a.0, b.0, ProjectivePoint::IDENTITY, Scalar::ZERO);
    yield_now().await;
    let mut shift = FieldBytes::default();
    shift[HALF - 1] = 1;
    by(a.1, b.1, sum, Scalar::reduce(&shift))
}

/// Once in memory, and its 9 KB of tables once on the stack.
#[inline(never)]
fn sum_of(products: &[(ProjectivePoint, Scalar); 3]) -> ProjectivePoint {
    ProjectivePoint::lincomb_vartime(products)
}

/// A key's point, uncompressed: nobody has to know others (RFC 5480, section 2.2), and rustls on std does not.
fn point(key: &[u8]) -> Option<ProjectivePoint> {
    let (4, coordinates) = key.split_first()? else { return None };
    let (x, y) = coordinates.split_at_checked(2 * HALF)?;
    let point = AffinePoint::from_coordinates(x.try_into().ok()?, y.try_into().ok()?);
    point.into_option().map(ProjectivePoint::from)
}

/// With zeros in front.
fn padded(digits: &[u8]) -> Option<FieldBytes> {
    let mut bytes = FieldBytes::default();
    let at = bytes.len().checked_sub(digits.len())?;
    bytes[at..].copy_from_slice(digits);
    Some(bytes)
}

#[cfg(test)]
#[path = "p384_tests.rs"]
mod tests;
