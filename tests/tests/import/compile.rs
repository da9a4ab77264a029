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
    // As some editors save UTF-8; the mark is no part of the first name.
    fs::write(&labels, "\u{FEFF}cat\r\ndog\r\nowl\r\n").expect("written");
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
    let graph = float(&network, Normalisation { mean: 0.0, std: 1.0 }).expect("it is translated").graph;
    let same = |input: &&Vec<i8>| {
        let outputs = tests::outputs::<Generic>(&model, input);
        argmax(&outputs[outputs.len() - 2]) == class(&graph.logits(input))
    };
    let others = pictures(graph.input, 13);
    assert_eq!(quantisation.agreeing, Some(others.iter().skip(1).step_by(2).filter(same).count()));
    assert!(quantisation.db.is_some_and(|db| db > 10.0), "{:?}", quantisation.db);
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

    let sine = with(&|maker| {
        let code = &mut maker.codes[3];
        (code.deprecated_builtin_code, code.builtin_code) = (BuiltinOperator::Sin as i8, BuiltinOperator::Sin);
    });
    let error = refused(Tflite::read(&sine));
    assert_eq!(error.kind(), Kind::UnsupportedOperator);
    let import::Error::Operator { index: 3, name, output, source } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), output.as_str()), ("SIN", "rectified"));
    let why = source.to_string();
    assert_eq!(error.source().map(ToString::to_string), Some(why.clone()));
    let shown = format!("{:?}", Error::from(error));
    assert_eq!(shown, format!("operator 3 (SIN, which makes rectified) cannot be imported: {why}"));
}

/// A float model of one dense layer: three numbers become their sum.
fn sum_of_three() -> Vec<u8> {
    let mut maker = Maker::default();
    let [input, kernel, sum] = [("in", &[1, 3][..]), ("kernel", &[1, 3]), ("sum", &[1, 1])]
        .map(|(name, shape)| maker.tensor(name, shape, TensorType::Float32, None));
    maker.fill(kernel, [1.0_f32; 3].iter().flat_map(|value| value.to_le_bytes()).collect());
    let options = BuiltinOptions::FullyConnectedOptions(Box::default());
    maker.op(BuiltinOperator::FullyConnected, &[input, kernel, -1], sum, Some(options));
    maker.finish(input, sum)
}

#[test]
fn a_regression_on_numbers_gives_its_own_outputs_and_no_softmax() {
    let bytes = sum_of_three();
    let numbers = |count: u16| (0..count).map(|at| [0.1, 0.2, -0.05].map(|by| by * f32::from(at)).to_vec()).collect();
    let tflite = || Tflite::read(&bytes).expect("it is a model").calibrate_on_numbers(|_| Ok(numbers(40)));
    let compiled = tflite().compile().expect("it is quantised");
    let model = Model::parse(&compiled.blob).expect("it is valid");
    assert!(matches!(model.ops().collect::<Vec<_>>()[..], [Op::Dense(_)]), "no softmax is added");
    assert_eq!((model.info().input.kind, compiled.changes.len()), (InputKind::Tensor, 0));
    let quantisation = compiled.quantisation.expect("it was a float model");
    assert_eq!(quantisation.agreeing, None, "a number is no class");
    assert!(quantisation.db.is_some_and(|db| db > 30.0), "{:?}", quantisation.db);
    // As a program meets it: numbers in by the input's scale, numbers out by the output's.
    let (input, output) = (model.info().input.tensor, model.output());
    for numbers in [[0.0, 0.0, 0.0], [1.0, 2.0, -0.5], [3.8, 7.6, -1.9]] {
        let made = tests::outputs::<Generic>(&model, &numbers.map(|number| input.quantise(number)));
        let sum = output.real(made.concat()[0]);
        assert!((sum - numbers.iter().sum::<f32>()).abs() < 0.1, "{numbers:?}: {sum}");
    }
    let refused = |tflite: Tflite<'_>| tflite.compile().expect_err("it must be refused");
    assert!(matches!(refused(tflite().softmax(true)), Error::OneOutput));
    let pictures = Tflite::read(&bytes).expect("it is a model");
    let pictures = pictures.calibrate(Normalisation { mean: 0.0, std: 1.0 }, |_| Ok(vec![vec![0; 3]; 2]));
    assert!(pictures.compile().is_ok(), "three channels may be a pixel");
    for (value, expected) in [(f32::NAN, "not finite"), (f32::INFINITY, "not finite")] {
        let tflite = Tflite::read(&bytes).expect("it is a model");
        let error = refused(tflite.calibrate_on_numbers(move |_| Ok(vec![vec![value; 3]; 2])));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_softmax_is_added_where_it_is_asked_for() {
    let without = {
        let mut maker = classifier();
        // The outputs are the logits.
        maker.operators.truncate(5);
        maker.codes.truncate(5);
        maker.finish(ENDS[0], 9)
    };
    let compile = |softmax| Tflite::read(&without).and_then(|model| model.softmax(softmax).compile());
    let [plain, added] = [false, true].map(|softmax| compile(softmax).expect("it is imported"));
    let outputs = |blob: &[u8]| tests::outputs::<Generic>(&Model::parse(blob).expect("it is valid"), &picture());
    assert_eq!(outputs(&plain.blob)[2..], [LOGITS.to_vec()]);
    assert_eq!(outputs(&added.blob)[2..], [LOGITS.to_vec(), SHARES.to_vec()], "as LiteRT's operator gives them");
    assert_eq!(added.changes[plain.changes.len()..], ["softmax: added over the outputs"]);
    let with = classifier().finish(ENDS[0], ENDS[1]);
    let twice = Tflite::read(&with).and_then(|model| model.softmax(true).compile());
    assert!(matches!(twice, Err(Error::Ended)));
}

#[test]
fn one_of_several_outputs_is_chosen() {
    let [probabilities, logits] = [ENDS[1], 9];
    let bytes = classifier().finish_with(ENDS[0], &[probabilities, logits]);
    let refused = |output| Tflite::read_output(&bytes, output).map(drop).expect_err("it is refused").to_string();
    let which = refused(None);
    assert!(which.contains("2 outputs, probabilities, logits") && which.contains("--output NAME"), "{which}");
    assert!(refused(Some("features")).contains("no output features"));
    for (output, last) in [("logits", LOGITS), ("probabilities", SHARES)] {
        let tflite = Tflite::read_output(&bytes, Some(output)).expect("it is an output");
        let compiled = tflite.compile().expect("it is imported");
        let made = tests::outputs::<Generic>(&Model::parse(&compiled.blob).expect("it is valid"), &picture());
        assert_eq!(made.last(), Some(&last.to_vec()), "{output}");
    }
}

#[test]
fn a_last_choice_is_left_to_the_caller() {
    for (code, told) in [(BuiltinOperator::ArgMax, "largest"), (BuiltinOperator::L2Normalization, "length")] {
        let mut maker = classifier();
        maker.operators.truncate(5);
        maker.codes.truncate(5);
        let axis = maker.integers("axis", &[1], &[1]);
        let class = match code {
            BuiltinOperator::ArgMax => maker.tensor("class", &[1], TensorType::Int64, None),
            _ => maker.int8("class", &[1, 3], 1.0 / 128.0, 0),
        };
        maker.op(code, &[9, axis], class, None);
        let compiled = Tflite::read(&maker.finish(ENDS[0], class)).and_then(Tflite::compile).expect("it is imported");
        let made = tests::outputs::<Generic>(&Model::parse(&compiled.blob).expect("it is valid"), &picture());
        assert_eq!(made.last(), Some(&LOGITS.to_vec()));
        let notes = &compiled.changes;
        assert!(notes.iter().any(|note| note.starts_with("class: left out") && note.contains(told)), "{notes:?}");
    }
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
