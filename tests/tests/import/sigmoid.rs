//! Classifiers of two classes that end with the sigmoid of one output.

use model_training::measure::evaluate::{class_names, class_probabilities, infer};

use super::*;

/// A classifier of 8x8 pictures that are dark or bright, by the sigmoid of one sum: FULLY_CONNECTED, LOGISTIC.
fn bright() -> Vec<u8> {
    let mut maker = Maker::default();
    let input = maker.int8("picture", &[1, 8, 8, 3], 1.0 / 255.0, -128);
    let weights = maker.int8("kernel", &[1, 192], 0.01, 0);
    let weights = maker.fill(weights, vec![1; 192]);
    let bias = maker.integers("bias", &[1], &[-127 * 192]);
    let logit = maker.int8("logit", &[1, 1], 0.05, -3);
    let share = maker.int8("share", &[1, 1], 1.0 / 256.0, -128);
    let options = BuiltinOptions::FullyConnectedOptions(Box::default());
    maker.op(BuiltinOperator::FullyConnected, &[input, weights, bias], logit, Some(options));
    maker.op(BuiltinOperator::Logistic, &[logit], share, None);
    maker.finish(input, share)
}

#[test]
fn one_sigmoid_tells_two_classes_apart_in_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    let (model, blob, labels, pictures) = (file("b.tflite"), file("b.blob"), file("labels.txt"), file("pictures"));
    fs::write(&model, bright()).expect("written");
    let import = ["import", text(&model), "--out", text(&blob), "--labels", text(&labels)];
    for (names, word) in [("bright\n", "1 names, the model 2 classes"), ("a\nb\nc\n", "3 names, the model 2 classes")] {
        fs::write(&labels, names).expect("written");
        let error = format!("{:#}", call(&import).unwrap_err());
        assert!(error.contains(word), "{error}");
    }
    fs::write(&labels, "dark\nbright\n").expect("written");
    call(&import).expect("it is imported");
    let bytes = fs::read(&blob).expect("the blob was written");
    let aligned = model_compiler::aligned::Aligned::copy_of(&bytes);
    let model = Model::parse(&aligned).expect("it is valid");
    assert_eq!((model.classes(), class_names(&model)), (2, vec!["dark".to_owned(), "bright".to_owned()]));
    let mut arena = model_compiler::aligned::Aligned::new(model.arena_len());
    for (pixel, class) in [(0_u8, 0), (110, 0), (145, 1), (255, 1)] {
        let said = infer(&model, &mut arena, &[(pixel ^ 0x80) as i8; 192]);
        assert_eq!((said.class, said.decision), (class, Some(class)), "{pixel}");
        let shares = class_probabilities(&model, &said.logits, &said.output);
        let exact = 1.0 / (1.0 + (-(f32::from(pixel) - 127.0) * 1.92 / 255.0).exp());
        assert!((shares[1] - exact).abs() < 0.02 && (shares[0] + shares[1] - 1.0).abs() < 0.01, "{pixel}: {shares:?}");
    }
    for (name, pixel) in [("dark", 20), ("bright", 240)] {
        fs::create_dir_all(pictures.join(name)).expect("a folder");
        for number in 0..4 {
            let path = pictures.join(name).join(format!("{number}.png"));
            image::RgbImage::from_pixel(8, 8, image::Rgb([pixel + number; 3])).save(path).expect("written");
        }
    }
    let twin = file("twin.html");
    call(&["predict", text(&blob), text(&pictures)]).expect("pictures are classified");
    call(&["eval", text(&blob), "--data", text(&pictures)]).expect("the folders are the classes");
    call(&["inspect", text(&blob)]).expect("it is a blob");
    call(&["twin", text(&blob), "--out", text(&twin)]).expect("it runs in a browser");
    assert!(fs::read_to_string(twin).expect("the page").contains(r#""probabilities":true"#));
}
