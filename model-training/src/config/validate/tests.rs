//! What a configuration may say, and how it is refused.

mod extremes;

use super::*;

fn refusal(text: &str) -> String {
    format!("{:#}", Config::from_toml(text).expect_err("this configuration must be refused"))
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

#[test]
fn a_configuration_survives_being_written_and_read() {
    let mut config = Config { seed: 7, ..Config::default() };
    config.train.class_weights = ClassWeights::Each(vec![1.0, 2.5]);
    config.augment = AugmentConfig::none();
    assert_eq!(Config::from_toml(&toml::to_string(&config).unwrap()).unwrap(), config);
}

#[test]
fn unknown_entries_are_named_with_their_line_and_the_known_ones() {
    let message = refusal("seed = 1\n\n[train]\nepoch = 3\n");
    assert!(message.contains("line 4") && message.contains("`epoch`") && message.contains("`epochs`"), "{message}");
    assert!(!message.contains('\n'), "{message}");
    assert!(refusal("sed = 1").contains("`sed`"));
    assert!(refusal("seed = \"one\"").contains("line 1"));
    assert!(refusal("seed = ").contains("line 1"));
}

#[test]
fn class_weights_of_another_kind_are_explained() {
    let message = refusal("[train]\nclass_weights = \"even\"");
    assert!(message.contains("`balanced`") && message.contains("line 2"), "{message}");
}

#[test]
fn a_target_says_what_it_is() {
    assert!(refusal("[target]").contains("`target` is empty"));
    assert!(refusal("[target]\nram = 8\nmilliseconds = 5").contains("needs `target.board`"));
    assert!(Config::from_toml("[target]\nboard = \"openmv-h7\"\nmilliseconds = 5").is_ok());
}

#[test]
fn values_out_of_range_are_named_with_value_and_range() {
    let cases = [
        ("[data]\nvalid = 0.0", "data.valid", "0"),
        ("[data]\nvalid = 0.6\ntest = 0.5", "data.valid + data.test", "1.1"),
        ("[input]\nwidth = 0", "input.width", "0"),
        ("[input]\nheight = 2000", "input.height", "2000"),
        ("[normalization]\nmean = [0.0, 2.0, 0.0]\nstd = [1.0, 1.0, 1.0]", "normalization.mean", "2"),
        ("[normalization]\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 0.0, 1.0]", "normalization.std", "0"),
        ("[augment]\nhorizontal_flip = 1.5", "augment.horizontal_flip", "1.5"),
        ("[augment]\nbrightness = -0.1", "augment.brightness", "-0.1"),
        ("[augment]\ncontrast = 2.0", "augment.contrast", "2"),
        ("[augment]\nsaturation = nan", "augment.saturation", "NaN"),
        ("[augment]\nhue = 200.0", "augment.hue", "200"),
        ("[augment]\nrotation = 270.0", "augment.rotation", "270"),
        ("[augment]\ncrop_area = [0.0, 1.0]", "augment.crop_area", "[0, 1]"),
        ("[augment]\ncrop_aspect = [1.2, 0.8]", "augment.crop_aspect", "[1.2, 0.8]"),
        ("[augment]\nerase = 2.0", "augment.erase", "2"),
        ("[augment]\nerase_area = [0.5, 0.1]", "augment.erase_area", "[0.5, 0.1]"),
        ("[augment]\nmixup = -1.0", "augment.mixup", "-1"),
        ("[augment.camera]\nblur = 1.5", "augment.camera.blur", "1.5"),
        ("[augment.camera]\ncast = -0.5", "augment.camera.cast", "-0.5"),
        ("[augment.camera]\ngamma = nan", "augment.camera.gamma", "NaN"),
        ("[augment.camera]\nnoise = 2.0", "augment.camera.noise", "2"),
        ("[augment.camera]\njpeg = 2.0", "augment.camera.jpeg", "2"),
        ("[augment.camera]\nrgb565 = 2.0", "augment.camera.rgb565", "2"),
        ("[augment.camera]\nblur_sigma = 0.5", "augment.camera.blur_sigma", "0.5"),
        ("[augment.camera]\ncast_gain = 1.0", "augment.camera.cast_gain", "1"),
        ("[augment.camera]\ngamma_exponent = 0.5", "augment.camera.gamma_exponent", "0.5"),
        ("[augment.camera]\nnoise_sigma = 1.5", "augment.camera.noise_sigma", "1.5"),
        ("[augment.camera]\njpeg_quality = [0, 90]", "augment.camera.jpeg_quality", "[0, 90]"),
        ("[augment.camera]\njpeg_quality = [90, 30]", "augment.camera.jpeg_quality", "[90, 30]"),
        ("[model.kmeans]\npatches = 0", "model.kmeans.patches", "0"),
        ("[model.kmeans]\niterations = 0", "model.kmeans.iterations", "0"),
        ("[model.kmeans]\nregularization = 0.0", "model.kmeans.regularization", "0"),
        ("[model.kmeans]\nthreshold = nan", "model.kmeans.threshold", "NaN"),
        ("[train]\nepochs = 0", "train.epochs", "0"),
        ("[train]\nhead_first = 0.0", "train.head_first", "0"),
        ("[train]\nema = 1.0", "train.ema", "1"),
        ("[cosine]\nwarmup = 1.0", "cosine.warmup", "1"),
        ("[cosine]\nend = 1.5", "cosine.end", "1.5"),
        ("[train]\nbatch_size = 0", "train.batch_size", "0"),
        ("[train]\nlearning_rate = 0.0", "train.learning_rate", "0"),
        ("[train]\nepsilon = 0.0", "train.epsilon", "0"),
        ("[train]\nweight_decay = -1.0", "train.weight_decay", "-1"),
        ("[train]\nlabel_smoothing = 1.0", "train.label_smoothing", "1"),
        ("[train]\nclass_weights = [1.0, 0.0]", "train.class_weights", "0"),
        ("[train]\nclass_weights = []", "train.class_weights", "empty"),
        ("[plateau]\nfactor = 1.0", "plateau.factor", "1"),
        ("[plateau]\nmin_lr = -1.0", "plateau.min_lr", "-1"),
        ("[early_stopping]\npatience = 0", "early_stopping.patience", "0"),
        ("[early_stopping]\nmin_delta = inf", "early_stopping.min_delta", "inf"),
        ("[quantize]\nimages = 0", "quantize.images", "0"),
        ("[target]\nflash = 0", "target.flash", "0"),
        ("[target]\nram = 2000000", "target.ram", "2000000"),
        ("[target]\nboard = \"b\"\nmilliseconds = nan", "target.milliseconds", "NaN"),
        ("[quantize.aware]\nepochs = 0", "quantize.aware.epochs", "0"),
        ("[quantize.aware]\nlearning_rate = 0.0", "quantize.aware.learning_rate", "0"),
    ];
    for (text, entry, value) in cases {
        let message = refusal(text);
        assert!(message.contains(&format!("`{entry}` is")) && message.contains(value), "{text}: {message}");
        assert!(message.contains("must be"), "{message}");
    }
}

#[test]
fn calibration_images_grow_with_the_classes_up_to_a_bound() {
    let images = |text: &str, classes| Config::from_toml(text).unwrap().quantize.images(classes);
    assert_eq!([2, 128, 129, 1000, 5000].map(|classes| images("", classes)), [256, 256, 258, 2000, 2048]);
    assert_eq!(images("[quantize]\nimages = 8", 1000), 8);
}
