//! `calib quantize`: arguments and the run.
use super::{Format, bar_of};
use crate::dataset::classes::Classes;
use crate::dataset::{Dataset, Source};
use crate::error::Result;
use crate::quantize::{Calibration, Scheme};
use crate::runtime::network::{Network, NetworkOptions};
use crate::runtime::{self, ModelOptions};
use crate::{eval, table};
use clap::Args;
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `calib quantize`.
#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// Float model.
    pub model: PathBuf,
    /// Pictures.
    pub images: Vec<PathBuf>,
    #[arg(long)]
    pub size: Option<usize>,
    #[arg(long)]
    pub fit: Option<String>,
    #[arg(long)]
    pub pixel: Option<String>,
    #[arg(long)]
    pub annotations: PathBuf,
    #[arg(long)]
    pub pictures: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

pub(super) fn run(args: &QuantizeArgs, out: &mut dyn Write) -> Result<()> {
    let mut preprocess = Vec::new();
    if let Some(f) = &args.fit {
        preprocess.push(("fit".to_owned(), f.clone()));
    }
    if let Some(f) = &args.pixel {
        preprocess.push(("pixel".to_owned(), f.clone()));
    }
    let network = Network::open(&NetworkOptions { model: args.model.clone(), side: args.size, preprocess })?;
    let pictures = table::find(&args.images)?;
    let t0 = std::time::Instant::now();
    let mut network = network.simplified()?;
    let original = network.graph().clone();
    let few: Vec<_> = pictures.iter().take(256).cloned().collect();
    let mut patches = crate::quantize::patches::patches(&network, &few, (2, 0), || ())?;
    let held = crate::quantize::patches::patches(&network, &few, (2, 1), || ())?;
    let mut held = held;
    eprintln!("patches {:?}", t0.elapsed());
    let rounds: usize = std::env::var("EQ").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    for _ in 0..rounds {
        let mut h2 = patches.clone();
        let _ = &mut h2;
        let g = crate::quantize::equalize::equalize(network.graph(), &mut patches)?;
        network.model.graph = g;
    }
    if rounds > 0 {
        held = crate::quantize::patches::patches(&network, &few, (2, 1), || ())?;
    }
    let cal = Calibration::new(&network, &pictures, 2, || ())?;
    eprintln!("calibrated {:?}", t0.elapsed());
    let dataset = Dataset::open(Source {
        annotations: &args.annotations,
        images: Some(&args.pictures),
        names: None,
        limit: None,
    })?;
    let graph = cal.network.graph();
    let outs = graph.outputs.clone();
    let val: Vec<PathBuf> = dataset.images.iter().step_by(5).map(|i| i.path.clone()).collect();
    let mut measure = |name: &str, g: &ocellus::graph::Graph| -> Result<()> {
        let model = ocellus::loader::Model { graph: g.clone(), metadata: cal.network.model.metadata.clone() };
        let detector = runtime::of_model(&model, &ModelOptions { threads: Some(1), ..Default::default() })?;
        let classes = Classes::join(&dataset.categories, detector.class_names(), &[])?;
        let fast = std::env::var("FAST").is_ok();
        let parts = crate::share::share(
            &(0..if fast { 4 } else { dataset.images.len() }).collect::<Vec<_>>(),
            2,
            || {
                Ok((
                    runtime::of_model(&model, &ModelOptions { threads: Some(1), ..Default::default() })?,
                    vec![],
                ))
            },
            |(d, b), _, &i| {
                let ds = Dataset {
                    images: vec![dataset.images[i].clone()],
                    categories: dataset.categories.clone(),
                    ..Default::default()
                };
                let det = eval::detect_all(&ds, &classes, d.as_mut(), || ())?;
                b.extend(det.boxes.into_iter().map(|mut x| {
                    x.image = i as u32;
                    x
                }));
                Ok(())
            },
        )?;
        let mut boxes: Vec<_> = parts.into_iter().flat_map(|p| p.1).collect();
        boxes.sort_by_key(|b| b.image);
        let r = eval::score(&dataset, &classes, &boxes, &Default::default()).summary;
        // output sqnr
        let fo: Vec<_> = outs.clone();
        let mut sq = vec![(0f64, 0f64); fo.len()];
        let mut f = crate::runtime::activations::Observer::new(
            &original,
            &cal.network.preprocess,
            &original.outputs,
        )?;
        let mut q = crate::runtime::activations::Observer::new(g, &cal.network.preprocess, &g.outputs)?;
        for p in &val {
            f.look(p)?;
            q.look(p)?;
            for (i, s) in sq.iter_mut().enumerate() {
                for (a, b) in f.numbers(i).zip(q.numbers(i)) {
                    for (a, b) in a.iter().zip(b) {
                        s.0 += (*a as f64).powi(2);
                        s.1 += (*a as f64 - *b as f64).powi(2);
                    }
                }
            }
        }
        let db: Vec<String> =
            sq.iter().map(|s| format!("{:.2}", 10.0 * (s.0 / s.1.max(1e-30)).log10())).collect();
        let _ = writeln!(
            out,
            "{name:20} {} map {:.4} ap50 {:.4} small {:.4} med {:.4} large {:.4}  sqnr {}",
            detector.precision(),
            r.map.unwrap(),
            r.map50.unwrap(),
            r.ap_small.unwrap(),
            r.ap_medium.unwrap(),
            r.ap_large.unwrap(),
            db.join(" ")
        );
        Ok(())
    };
    measure("float", graph)?;
    use table::Method::*;
    let methods = [
        ("minmax", MinMax),
        ("p99.999", Percentile(0.99999)),
        ("p99.99", Percentile(0.9999)),
        ("kl", Kl),
        ("mse", Mse),
    ];
    let want = std::env::var("M").unwrap_or("minmax".into());
    for (name, m) in methods {
        if !want.split(',').any(|w| w == name) {
            continue;
        }
        let mut recipe = cal.recipe(Scheme::default(), m, &HashSet::new());
        measure(name, &recipe.apply(graph)?)?;
        if std::env::var("X").is_ok() {
            let mut act = recipe.clone();
            act.layers.clear();
            measure("  act only", &act.apply(graph)?)?;
            let mut w = recipe.clone();
            w.grids.iter_mut().for_each(|g| *g = None);
            for l in w.layers.values_mut() {
                l.weights = ocellus::tensor::Tensor::new(
                    l.weights.shape().clone(),
                    ocellus::tensor::Data::F32(l.weights.to_f32()),
                )
                .unwrap();
            }
            measure("  weights only", &w.apply(graph)?)?;
        }
        let scheme = Scheme::default();
        let correct = |recipe: &mut crate::quantize::Recipe| {
            for layer in crate::runtime::network::weighted(graph) {
                let grid = recipe.grids[layer.node.inputs[0].index()];
                let fq = |x: f32| grid.map_or(x, |g| g.dequantize(g.quantize(x)));
                let l = recipe.layers.get_mut(&layer.at).unwrap();
                let c = crate::quantize::bias::correction(
                    layer.weights,
                    &l.weights,
                    layer.groups,
                    &held[&layer.at],
                    fq,
                );
                let b = layer
                    .node
                    .inputs
                    .get(2)
                    .and_then(|&id| graph.constant(id))
                    .map(|b| b.to_f32())
                    .unwrap_or(vec![0.0; c.len()]);
                l.bias = Some(b.iter().zip(&c).map(|(a, b)| a + b).collect());
            }
        };
        correct(&mut recipe);
        measure(&format!("{name}+bc"), &recipe.apply(graph)?)?;
        let t = std::time::Instant::now();
        for layer in crate::runtime::network::weighted(graph) {
            let grid = recipe.grids[layer.node.inputs[0].index()];
            let fq = |x: f32| grid.map_or(x, |g| g.dequantize(g.quantize(x)));
            let w = crate::quantize::rounding::round(
                scheme,
                layer.weights,
                layer.groups,
                &patches[&layer.at],
                fq,
            );
            recipe.layers.get_mut(&layer.at).unwrap().weights = w;
        }
        eprintln!("gptq {:?}", t.elapsed());
        correct(&mut recipe);
        measure(&format!("{name}+gptq+bc"), &recipe.apply(graph)?)?;
    }
    Ok(())
}
