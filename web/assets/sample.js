// A sound for who has no microphone: three sung vowels, made here. They are
// like a voice in pitch and formants, and say nothing.

const pitch = 130 // Hz
const vowels = [[730, 1090], [270, 2290], [570, 840]] // the first two formants of ah, ee, oh, in Hz
const vowelSeconds = 0.7
const pauseSeconds = 0.2

/**
 * @param {number} rate samples a second
 * @returns {Int16Array} 2.7 seconds, mono
 */
export function sample(rate) {
  const each = Math.round((vowelSeconds + pauseSeconds) * rate)
  const samples = new Int16Array(each * vowels.length)
  vowels.forEach((formants, i) => sing(samples.subarray(i * each, (i + 1) * each), formants, rate))
  return samples
}

/**
 * Adds up the harmonics of the pitch, each as strong as the formants make it.
 * @param {Int16Array} into
 * @param {number[]} formants
 * @param {number} rate
 */
function sing(into, formants, rate) {
  const length = Math.round(vowelSeconds * rate)
  for (let harmonic = 1; harmonic * pitch < 3500; harmonic++) {
    const hertz = harmonic * pitch
    const strength = formants.reduce((sum, formant) => sum + 1 / (1 + ((hertz - formant) / 120) ** 2), 0) / harmonic ** 0.5
    for (let i = 0; i < length; i++) {
      const swell = Math.sin(Math.PI * i / length) ** 0.5
      into[i] += 5500 * strength * swell * Math.sin(2 * Math.PI * hertz * i / rate)
    }
  }
}
