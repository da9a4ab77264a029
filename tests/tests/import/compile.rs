//! `model_compiler::Tflite`, as a build script calls it.

use super::*;

fn pictures(shape: Shape, count: usize) -> Vec<Vec<i8>> {
    let value = |seed: usize, at: usize| ((at * (73 + 2 * seed) + 5 * (seed + 1)) % 256) as u8 as i8;
    (0..count).map(|seed| (0..shape.len()).map(|at| value(seed, at)).collect()).collect()
}

#[test]
fn a_build_script_gets_the_bytes_that_the_command_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    let (model, blob, labels) = (file("c.tflite"), file("c.blob"), file("labels.txt"));
    let bytes = classifier().finish(ENDS[0], ENDS[1]);
    fs::write(&model, &bytes).expect("written");
    fs::write(&labels, "cat\ndog\nowl\n").expect("written");
    for (options, input, flash) in [(&[][..], None, 0), (&["--input", "tensor"], Some(InputChoice::Tensor), 1 << 20)] {
        let flash_budget = (flash >> 10).to_string();
        let import = ["import", text(&model), "--out", text(&blob), "--labels", text(&labels)];
        call(&[&import[..], options, &["--flash-budget", &flash_budget]].concat()).expect("it is imported");
        let mut tflite = Tflite::read(&bytes).expect("it is a model").name("c").producer(PRODUCER);
        tflite = tflite.labels(["cat", "dog", "owl"]).limits(Limits { flash, arena: None, ..Limits::default() });
        if let Some(input) = input {
            tflite = tflite.input(input);
        }
        let compiled = tflite.compile().expect("it is compiled");
        assert!(*compiled.blob == *fs::read(&blob).expect("the blob was written"), "{options:?}");
        assert_eq!(compiled.input.image().is_some(), input.is_none());
        assert_eq!(compiled.changes.len(), 3, "{:?}", compiled.changes);
    }
}

#[test]
fn a_float_model_is_quantised_on_what_the_caller_makes() {
    let bytes = float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]);
    let compile = || {
        let tflite = Tflite::read(&bytes).expect("it is a model");
        let normalisation = Normalisation { mean: 0.0, std: 1.0 };
        tflite.calibrate(normalisation, |shape| Ok(pictures(shape, 13))).compile().expect("it is quantised")
    };
    let [compiled, again] = [compile(), compile()];
    assert!(*compiled.blob == *again.blob, "the same model and inputs give the same bytes");
    let quantisation = compiled.quantisation.expect("it was a float model");
    assert_eq!((quantisation.calibrated, quantisation.checked), (7, 6));
    let model = Model::parse(&compiled.blob).expect("it is valid");
    let network = read(&bytes).expect("it is a model");
    let graph = float(&network, Normalisation { mean: 0.0, std: 1.0 }).expect("it is translated");
    let same = |input: &&Vec<i8>| {
        let outputs = tests::outputs::<Generic>(&model, input);
        argmax(&outputs[outputs.len() - 2]) == class(&graph.logits(input))
    };
    let others = pictures(graph.input, 13);
    assert_eq!(quantisation.agreeing, others.iter().skip(1).step_by(2).filter(same).count());
}

#[test]
fn settings_that_do_not_fit_the_model_are_errors_of_their_own() {
    let int8 = classifier().finish(ENDS[0], ENDS[1]);
    let float = float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]);
    let refused = |tflite: Tflite<'_>| tflite.compile().expect_err("it must be refused");
    let int8 = || Tflite::read(&int8).expect("it is a model");
    let calibrated = |std: f64, count: usize| {
        let tflite = Tflite::read(&float).expect("it is a model");
        tflite.calibrate(Normalisation { mean: 0.0, std }, move |shape| Ok(pictures(shape, count)))
    };
    assert!(matches!(refused(int8().labels(["cat", "dog"])), Error::Labels { names: 2, classes: 3 }));
    let normalisation = Normalisation { mean: 0.0, std: 1.0 };
    assert!(matches!(refused(int8().calibrate(normalisation, |_| Ok(Vec::new()))), Error::AlreadyInt8));
    assert!(matches!(refused(Tflite::read(&float).expect("it is a model")), Error::NeedsCalibration));
    assert!(matches!(refused(calibrated(0.0, 4)), Error::Deviation(0.0)));
    assert!(matches!(refused(calibrated(f64::NAN, 4)), Error::Deviation(_)));
    assert!(matches!(refused(calibrated(1.0, 1)), Error::FewInputs(1)));
    assert!(matches!(refused(calibrated(1.0, 4).labels(["cat"])), Error::Labels { names: 1, classes: 3 }));
    let tflite = || Tflite::read(&float).expect("it is a model");
    let short = tflite().calibrate(normalisation, |shape| Ok(vec![vec![0; shape.len()], vec![0; 5]]));
    assert!(matches!(refused(short), Error::InputLength { found: 5, expected: 192 }));
    let failing = tflite().calibrate(normalisation, |_| Err("no picture can be read".into()));
    assert_eq!(refused(failing).to_string(), "no picture can be read");
}

#[test]
fn a_build_script_can_tell_refusals_apart() {
    let refused = |tflite: Result<Tflite<'_>, Error>| match tflite.and_then(Tflite::compile) {
        Err(Error::Model(error)) => error,
        other => panic!("{other:?}"),
    };
    let kind = |bytes: &[u8]| refused(Tflite::read(bytes)).kind();
    let with = |change: &dyn Fn(&mut Maker)| {
        let mut maker = classifier();
        change(&mut maker);
        maker.finish(ENDS[0], ENDS[1])
    };
    let good = with(&|_| {});
    assert_eq!(kind(b"nothing of this kind"), Kind::NotTflite);
    assert_eq!(kind(&good[..good.len() / 2]), Kind::Damaged);
    assert_eq!(kind(&with(&|maker| maker.tensors[6].shape = Some(vec![1, 5, 4, 2]))), Kind::Damaged);
    assert_eq!(kind(&with(&|maker| maker.tensors[8].type_ = TensorType::Int4)), Kind::Unsupported);
    assert_eq!(kind(&int8_of(&[1, 1 << 16, 1, 1])), Kind::OutOfRange);
    let heavy = heavy();
    let error = Tflite::read(&heavy).and_then(Tflite::compile).expect_err("its sums overflow");
    assert!(matches!(error, Error::Blob(emit::Error::Layer { layer, .. }) if layer == "heavy"));
    let two_channels = int8_of(&[1, 8, 8, 2]);
    assert_eq!(
        refused(Tflite::read(&two_channels).map(|model| model.input(InputChoice::Image))).kind(),
        Kind::Settings
    );
    let float = float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]);
    assert_eq!(int8(&float).expect_err("it has no ranges").kind(), Kind::NeedsCalibration);

    let elu = with(&|maker| {
        let code = &mut maker.codes[3];
        (code.deprecated_builtin_code, code.builtin_code) = (BuiltinOperator::Elu as i8, BuiltinOperator::Elu);
    });
    let error = refused(Tflite::read(&elu));
    assert_eq!(error.kind(), Kind::UnsupportedOperator);
    let import::Error::Operator { index: 3, name, output, source } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), output.as_str()), ("ELU", "rectified"));
    let why = source.to_string();
    assert_eq!(error.source().map(ToString::to_string), Some(why.clone()));
    let shown = format!("{:?}", Error::from(error));
    assert_eq!(shown, format!("operator 3 (ELU, which makes rectified) cannot be imported: {why}"));
}

/// A model of one function on a tensor of this shape.
fn int8_of(shape: &[i32]) -> Vec<u8> {
    let mut maker = Maker::default();
    let [input, output] = ["in", "out"].map(|name| maker.int8(name, shape, 1.0 / 128.0, 0));
    maker.op(BuiltinOperator::Tanh, &[input], output, None);
    maker.finish(input, output)
}

#[test]
fn a_build_script_writes_no_blob_beyond_its_limits() {
    let bytes = classifier().finish(ENDS[0], ENDS[1]);
    let compile = |arena| {
        let limits = Limits { arena: Some(arena), ..Limits::default() };
        Tflite::read(&bytes).and_then(|model| model.limits(limits).compile()).expect("the least is compiled")
    };
    let refused = compile(16).write_to_out_dir("model.blob").expect_err("16 bytes are too few");
    assert!(matches!(refused, Error::Blob(emit::Error::Limit { memory: Memory::Arena, limit: 16, .. })), "{refused}");
    let refused = compile(1 << 20).write_to_out_dir("model.blob").expect_err("this is no build script");
    assert!(matches!(refused, Error::NoOutDir), "{refused}");
}
