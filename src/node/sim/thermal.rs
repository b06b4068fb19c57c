//! Heat inside one GPU module: die and HBM on a cold plate or heatsink, and the way from there into air or coolant.
//!
//! Three heat capacities joined by resistances, solved exactly for any step: with powers held constant over a step, the
//! distance from the steady state decays in three modes,
//! `T(t+dt) = T∞ + C^(-1/2) V exp(-λ dt) Vᵀ C^(1/2) (T(t) - T∞)`, where `V` and `λ` diagonalise the symmetric matrix
//! `C^(-1/2) G C^(-1/2)` of conductances `G` (K⁻¹W) and capacities `C` (J/K).

/// Where heat is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Network {
    /// Die to plate, K/W.
    pub(super) contact: f64,
    /// HBM to plate, K/W.
    pub(super) contact_memory: f64,
    /// Through the interposer between die and HBM, K/W.
    pub(super) bridge: f64,
    /// Plate to the air or coolant that passes it, K/W.
    pub(super) sink: f64,
    /// Heat capacities of die, HBM and plate, J/K.
    pub(super) capacity: [f64; 3],
}

/// Temperatures of die, HBM and plate, °C.
pub(super) type Temperatures = [f64; 3];

/// The network in the form in which a step is a handful of products.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    network: Network,
    /// Kelvin over the passing air or coolant per watt put into die, HBM, plate.
    steady: [[f64; 3]; 3],
    /// Into modes and back.
    into: [[f64; 3]; 3],
    back: [[f64; 3]; 3],
    /// Decay rates of the modes, 1/s.
    rates: [f64; 3],
    /// `exp(-rate dt)` for the step width used last.
    decay: [f64; 3],
    decay_for: f64,
}

impl Ladder {
    pub(super) fn new(network: Network) -> Self {
        let (a, b, c, d) =
            (1.0 / network.contact, 1.0 / network.contact_memory, 1.0 / network.bridge, 1.0 / network.sink);
        let g = [[a + c, -c, -a], [-c, b + c, -b], [-a, -b, a + b + d]];
        let root: [f64; 3] = network.capacity.map(f64::sqrt);
        let mut symmetric = g;
        for (i, row) in symmetric.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate() {
                *cell /= root[i] * root[j];
            }
        }
        let (rates, vectors) = diagonalise(symmetric);
        let mut into = [[0.0; 3]; 3];
        let mut back = [[0.0; 3]; 3];
        for mode in 0..3 {
            for node in 0..3 {
                into[mode][node] = vectors[node][mode] * root[node];
                back[node][mode] = vectors[node][mode] / root[node];
            }
        }
        let mut steady = [[0.0; 3]; 3];
        for (i, row) in steady.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate() {
                *cell = (0..3).map(|mode| vectors[i][mode] * vectors[j][mode] / rates[mode]).sum::<f64>()
                    / (root[i] * root[j]);
            }
        }
        Self { network, steady, into, back, rates, decay: [1.0; 3], decay_for: 0.0 }
    }

    /// Takes another network. Its modes cost far more to find than a step does to take, and a fault that drifts applies all parameters anew.
    pub(super) fn refit(&mut self, network: Network) {
        if network != self.network {
            *self = Self::new(network);
        }
    }

    /// Where temperatures settle with `watts` into die, HBM and plate and `around` passing the plate.
    pub(super) fn settled(&self, watts: [f64; 3], around: f64) -> Temperatures {
        let s = &self.steady;
        [0, 1, 2].map(|i| around + s[i][0] * watts[0] + s[i][1] * watts[1] + s[i][2] * watts[2])
    }

    /// `dt` seconds further.
    pub(super) fn advance(&mut self, now: Temperatures, watts: [f64; 3], around: f64, dt: f64) -> Temperatures {
        if dt != self.decay_for {
            self.decay = self.rates.map(|rate| libm::exp(-rate * dt));
            self.decay_for = dt;
        }
        let target = self.settled(watts, around);
        let off = [now[0] - target[0], now[1] - target[1], now[2] - target[2]];
        let modes = [0, 1, 2].map(|m| {
            let row = &self.into[m];
            (row[0] * off[0] + row[1] * off[1] + row[2] * off[2]) * self.decay[m]
        });
        [0, 1, 2].map(|i| {
            let row = &self.back[i];
            target[i] + row[0] * modes[0] + row[1] * modes[1] + row[2] * modes[2]
        })
    }
}

/// Eigenvalues, and eigenvectors as columns, of a symmetric matrix by Jacobi's rotations.
fn diagonalise(mut a: [[f64; 3]; 3]) -> ([f64; 3], [[f64; 3]; 3]) {
    let mut v = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // Convergence is quadratic: eight sweeps are far beyond what doubles can tell.
    for _ in 0..8 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            // A rotation by less than this changes no digit.
            if a[p][q].abs() < f64::max(1e-300, 1e-18 * (a[q][q] - a[p][p]).abs()) {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
            let c = 1.0 / (t * t + 1.0).sqrt();
            let s = t * c;
            for row in &mut a {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
            let (upper, lower) = (a[p], a[q]);
            a[p] = [0, 1, 2].map(|k| c * upper[k] - s * lower[k]);
            a[q] = [0, 1, 2].map(|k| s * upper[k] + c * lower[k]);
            for row in &mut v {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2]], v)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network =
        Network { contact: 0.022, contact_memory: 0.18, bridge: 1.5, sink: 0.031, capacity: [550.0, 80.0, 4500.0] };

    #[test]
    fn it_settles_where_the_resistances_say() {
        let mut ladder = Ladder::new(NETWORK);
        let mut at = [25.0; 3];
        for _ in 0..10_000 {
            at = ladder.advance(at, [600.0, 0.0, 0.0], 25.0, 1.0);
        }
        // All 600 W pass the sink; nearly all pass the contact of the die.
        assert!((at[2] - (25.0 + 600.0 * 0.031)).abs() < 1e-6, "plate {}", at[2]);
        let die = at[0] - at[2];
        assert!((13.0..13.2).contains(&die), "die over plate {die}");
    }

    #[test]
    fn one_long_step_is_many_short_ones() {
        let run = |steps: u32| {
            let mut ladder = Ladder::new(NETWORK);
            let mut at = [30.0, 35.0, 29.0];
            for _ in 0..steps {
                at = ladder.advance(at, [500.0, 80.0, 60.0], 27.0, 60.0 / f64::from(steps));
            }
            at
        };
        let (one, many) = (run(1), run(6000));
        for node in 0..3 {
            assert!((one[node] - many[node]).abs() < 1e-8, "{one:?} {many:?}");
        }
    }
}
